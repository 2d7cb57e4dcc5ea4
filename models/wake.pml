/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * wake.pml: who appends and the thread that writes behind it wake each other, without a lock, as a model for Spin.
 *
 * Each says first that it will sleep and looks once more second; the other changes what is looked at first and looks
 * for sleepers second. The switches turn that around in one place each. They are not planted in the code: such a
 * mistake shows in one of very many runs there, which is why there is a model. (Room in the ring is also looked for
 * every millisecond; the model shows that this is not needed.)
 *
 * What must hold: all that was appended is written, and nobody waits for room for ever.
 */

#define APPENDS 4
#define RING    2 /* so many appends fit */

#define RUNNING 0
#define ASLEEP  1

byte published, written;
byte writer_word = RUNNING;
byte room_word, room_wanted; /* room_wanted 0: nobody waits */

/* src/wal/stage.c: set_written() */
inline set_written(to)
{
    written = to;
    if
    :: room_wanted != 0 && to >= room_wanted ->
       room_wanted = 0;
       room_word++
    :: else
    fi
}

/* src/wal/writer.c: rest() */
inline rest()
{
#ifndef LOOK_BEFORE_RESTING
    writer_word = ASLEEP;
    if
    :: published == seen ->
endasleep: writer_word != ASLEEP /* src/wal/writer.c: wake() */
    :: else
    fi;
#else
    if
    :: published == seen -> writer_word = ASLEEP;
endasleep: writer_word != ASLEEP
    :: else
    fi;
#endif
    writer_word = RUNNING
}

/* src/wal/writer.c: nw_writer_run() */
active proctype writer()
{
    byte seen;

    do
    :: seen = published;
       if
       :: seen != written -> set_written(seen)
       :: else
       fi;
       rest()
    od
}

/* src/wal/stage.c: wait_for_writer() */
inline wait_for_room()
{
    do
    :: published - written < RING -> break
    :: else ->
       word = room_word;
#ifndef LOOK_BEFORE_WAITING
       room_wanted = published + 1 - RING;
       if
       :: written < published + 1 - RING -> room_word != word
       :: else
       fi
#else
       if
       :: written < published + 1 - RING -> room_wanted = published + 1 - RING; room_word != word
       :: else
       fi
#endif
    od
}

/* src/wal/stage.c: publish() */
active proctype appender()
{
    byte word, count;

    do
    :: count == APPENDS -> break
    :: count < APPENDS ->
       wait_for_room();
#ifdef CHECK_BEFORE_PUBLISH
       word = writer_word;
       published++;
#else
       published++;
       word = writer_word; /* src/wal/writer.c: nw_writer_check() */
#endif
       if
       :: word == ASLEEP -> writer_word = RUNNING
       :: else
       fi;
       count++
    od;
    written == APPENDS /* else somebody waits for ever */
}
