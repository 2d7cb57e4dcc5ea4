/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * commit.pml: group commit, rotation and failing for good, as a model for Spin. models/check.sh runs it.
 *
 * Two threads append, one under `always`, one under `batch`, beside the log's sync thread and space thread. A segment
 * has a header and one record, so nearly every append begins one. Any one sync may fail, at any moment; what it should
 * have made durable never is, though later syncs say they succeed.
 *
 * Each step names the function that it models; a test sees that it is there. A comment is all that ties the two, so
 * the same mistakes are planted in both (-DNAME here, NW_PLANT there), and each is found in both.
 *
 * What must hold, in every order of all steps:
 *   - What is told to be durable is on the medium, under its name (D3), and nothing is told after a failure (D8).
 *   - No more than two ended segments are not on the medium (D3).
 *   - Everybody comes to an end: nobody sleeps for ever (a lost wake-up is an invalid end state).
 */

#define UNITS    2 /* of a segment: its header, and a record */
#define SEGMENTS 4
#define UNSYNCED_MAX 2 /* D3 */

/* Threads. */
#define ALWAYS   0
#define BATCH    1
#define SYNC     2
#define SPACE    3
#define THREADS 4

/* The log: positions are in units. */
byte published, durable, segments;
bool is_named[SEGMENTS], is_synced[SEGMENTS];
bool is_spare_ready, is_spare_busy, is_syncing, is_naming, is_sync_requested, is_window_running, has_failed, must_stop;

/* Who sleeps where, and who may go on. */
bool append_lock;
bool sleeps[THREADS], sleeps_for_sync, sleeps_for_space, pauses[THREADS];

/* What no program can see: the medium. */
byte on_medium[SEGMENTS];
bool is_name_on_medium[SEGMENTS], has_hole[SEGMENTS], has_anything_failed;
byte done;

#define ENDED(s)     ((s) + 1 < segments)
#define UNNAMED      (segments > 0 && !is_named[segments - 1])
#define CAN_PREPARE  (!is_spare_ready && !is_spare_busy && segments < SEGMENTS)
#define BELOW(s, to) ((to) > (s) * UNITS -> ((to) - (s) * UNITS < UNITS -> (to) - (s) * UNITS : UNITS) : 0)
#define TRUE_IN(s, to) (BELOW(s, to) == 0 || (on_medium[s] >= BELOW(s, to) && is_name_on_medium[s]))
#define IS_TRUE(to)  (TRUE_IN(0, to) && TRUE_IN(1, to) && TRUE_IN(2, to) && TRUE_IN(3, to))
#define WAITS(s)     (ENDED(s) && !is_synced[s] -> 1 : 0)
#define ENDED_UNSYNCED (WAITS(0) + WAITS(1) + WAITS(2) + WAITS(3))
#define AT_RISK(s)   (ENDED(s) && on_medium[s] < UNITS -> 1 : 0)
#define ENDED_AT_RISK (AT_RISK(0) + AT_RISK(1) + AT_RISK(2) + AT_RISK(3))

/* Here others may run. What a thread does between two pauses, mostly with the mutex held, is one step. */
inline pause() { pauses[me] = true; !pauses[me] }

/* src/wal/log.c: nw_log_wait() */
inline wait_changed() { sleeps[me] = true; !sleeps[me] }

/* src/wal/log.c: nw_log_wake() */
inline wake_changed() { sleeps[0] = false; sleeps[1] = false; sleeps[2] = false; sleeps[3] = false }

/* src/wal/log.c: nw_log_fail() */
inline fail_log()
{
    has_failed = true;
    wake_changed();
    sleeps_for_sync = false;
    sleeps_for_space = false
}

/* A call of the disk: `upto` units of a segment. It may fail, once; then there is a hole for ever. */
inline disk_sync(which, upto)
{
    pause();
    if
    :: rc = 0;
       if
       :: !has_hole[which] && on_medium[which] < upto -> on_medium[which] = upto
       :: else
       fi
    :: !has_anything_failed -> has_anything_failed = true; has_hole[which] = true; rc = 1
    fi
}

/* src/wal/sync.c: name_segment() */
inline name_segment(which)
{
    disk_sync(which, 1);
    if
    :: rc == 0 ->
#ifndef NO_FOLDER_SYNC
       is_name_on_medium[which] = true
#else
       skip
#endif
    :: else -> fail_log()
    fi
}

/* src/wal/sync.c: nw_sync_name() */
inline name_newest()
{
    rc = 0;
    do
    :: UNNAMED && is_naming -> wait_changed()
    :: else -> break
    od;
    if
    :: UNNAMED && has_failed -> rc = 1
    :: UNNAMED && !has_failed ->
       is_naming = true;
       other = segments - 1
       name_segment(other);
       is_naming = false;
       is_named[other] = (rc == 0);
       wake_changed();
       sleeps_for_space = false
    :: else
    fi
}

/* src/wal/sync.c: oldest_unsynced() */
inline find_unsynced()
{
    d_step {
        s = 0;
        do
        :: s < segments && is_synced[s] -> s++
        :: else -> break
        od;
#ifdef NEWEST_FIRST
        do
        :: s + 1 < segments && (s + 1) * UNITS < to -> s++
        :: else -> break
        od;
#endif
        if
        :: s < segments && s * UNITS < to
        :: else -> s = SEGMENTS /* none */
        fi
    }
}

/* src/wal/sync.c: sync_segment() */
inline sync_segment()
{
    was_complete = ENDED(s) && (s + 1) * UNITS <= to;
    rc = 0;
    if
    :: !is_named[s] -> name_newest()
    :: else
    fi;
    if
    :: rc == 0 ->
       units = BELOW(s, to);
       disk_sync(s, units);
#ifdef RETRY_SYNC
       if
       :: rc != 0 -> disk_sync(s, units)
       :: else
       fi;
#endif
       if
       :: rc != 0 -> fail_log()
       :: else
       fi;
       if
       :: rc == 0 && was_complete ->
          is_synced[s] = true;
          wake_changed();
          sleeps_for_space = false
       :: else
       fi
    :: else
    fi
}

/* src/wal/sync.c: set_durable() */
inline set_durable()
{
    assert(IS_TRUE(to));
    assert(!has_failed);
    durable = to
}

/* src/wal/sync.c: lead() */
inline lead()
{
    rc = has_failed;
    if
    :: rc == 0 ->
       is_syncing = true;
       is_sync_requested = false;
       before = durable;
#ifndef WINDOW_CLEARED_LATE
       is_window_running = false; /* first: what is appended behind `to` starts another */
#endif
       to = published;
#ifdef ACK_BEFORE_SYNC
       set_durable();
#endif
       pause(); /* it is brought to the kernel: src/wal/stage.c: nw_stage_write_to() */
       do
       :: rc == 0 && to > before ->
          find_unsynced();
          if
          :: s == SEGMENTS -> break
          :: else
          fi;
          sync_segment();
          if
          :: !ENDED(s) || (s + 1) * UNITS > to -> break
          :: else
          fi
       :: else -> break
       od;
       if
#ifdef ACK_AFTER_FAILURE
       :: rc == 0 ->
#else
       :: rc == 0 && !has_failed ->
#endif
          set_durable()
       :: else
       fi;
#ifdef WINDOW_CLEARED_LATE
       is_window_running = false;
#endif
       to = 0; before = 0; units = 0; s = 0; other = 0; was_complete = false; /* fewer states */
       is_syncing = false;
#ifndef LEADER_WAKES_NOBODY
       wake_changed()
#endif
    :: else
    fi
}

/* src/wal/sync.c: nw_sync_to() */
inline sync_to(lsn)
{
    rc = 0;
    do
    :: durable >= lsn -> break
    :: durable < lsn && has_failed -> rc = 1; break
    :: durable < lsn && !has_failed && is_syncing -> wait_changed()
    :: durable < lsn && !has_failed && !is_syncing ->
       lead();
       if
       :: rc != 0 -> break
       :: else
       fi
    od
}

/* src/wal/sync.c: nw_sync_note_append() */
inline note_append()
{
    if
    :: !is_window_running ->
       is_window_running = true;
       pause();
       sleeps_for_sync = false
    :: is_window_running
    fi
}

/* src/wal/space.c: prepare_spare() */
inline prepare_spare()
{
    is_spare_busy = true;
    pause();
    is_spare_busy = false;
    is_spare_ready = true;
    wake_changed()
}

/* src/wal/roll.c: nw_roll() */
inline roll()
{
    do /* src/wal/roll.c: wait_for_spare() */
    :: has_failed -> rc = 1; break
    :: !has_failed && UNNAMED -> name_newest(); rc = 0
#ifndef ANY_NUMBER_UNSYNCED
    :: !has_failed && !UNNAMED && ENDED_UNSYNCED >= UNSYNCED_MAX ->
       is_sync_requested = true;
       sleeps_for_sync = false;
       wait_changed()
    :: !has_failed && !UNNAMED && ENDED_UNSYNCED < UNSYNCED_MAX && is_spare_ready -> rc = 0; break
    :: !has_failed && !UNNAMED && ENDED_UNSYNCED < UNSYNCED_MAX && !is_spare_ready ->
#else
    :: !has_failed && !UNNAMED && is_spare_ready -> rc = 0; break
    :: !has_failed && !UNNAMED && !is_spare_ready ->
#endif
       do /* src/wal/space.c: nw_space_require_spare() */
       :: is_spare_busy -> wait_changed()
       :: else -> break
       od;
       if
       :: !has_failed && !is_spare_ready -> prepare_spare()
       :: else
       fi
    od;
    if
    :: rc == 0 ->
       is_spare_ready = false;
       segments++; /* src/wal/roll.c: take_over() */
       assert(ENDED_AT_RISK <= UNSYNCED_MAX)
    :: else
    fi
    if
    :: rc == 0 ->
       published++; /* its header */
       pause();     /* src/wal/roll.c: wake_threads() */
       is_sync_requested = is_sync_requested || UNNAMED;
       sleeps_for_sync = false;
       sleeps_for_space = false
    :: else
    fi
}

/* src/wal/append.c: nori_wal_append_batch() */
proctype appender(byte me; byte count)
{
    byte mine, s, other, to, before, units, rc;
    bool was_complete;

    atomic {
        do
        :: count == 0 || rc != 0 -> break
        :: count > 0 && rc == 0 ->
           count--;
           !append_lock;
           append_lock = true;
           if
           :: has_failed -> rc = 1
           :: !has_failed && published == segments * UNITS -> roll()
           :: else
           fi;
           if
           :: rc == 0 -> published++; mine = published; pause() /* src/wal/stage.c: publish() */
           :: else
           fi;
           append_lock = false;
           if
           :: rc == 0 && me == BATCH -> note_append()
           :: rc == 0 && me == ALWAYS -> sync_to(mine); assert(rc != 0 || IS_TRUE(mine))
           :: else
           fi
        od;
        durable >= mine || has_failed; /* under `batch` that comes without another call */
        done++
    }
}

/* src/wal/sync.c: nw_sync_run() */
proctype sync_thread()
{
    byte me = SYNC, s, other, to, before, units, rc;
    bool was_complete;

    atomic {
        do /* src/wal/sync.c: next_deadline() */
        :: must_stop -> break
        :: !must_stop && is_syncing -> wait_changed()
        :: !must_stop && !is_syncing && !has_failed && (is_sync_requested || is_window_running) -> lead()
        :: !must_stop && !is_syncing && (has_failed || !(is_sync_requested || is_window_running)) ->
           sleeps_for_sync = true;
           !sleeps_for_sync
        od
    }
}

/* src/wal/space.c: nw_space_run() */
proctype space_thread()
{
    byte me = SPACE, other, rc;

    atomic {
        do
        :: must_stop -> break
        :: !must_stop && !has_failed && UNNAMED -> name_newest()
        :: !must_stop && !has_failed && !UNNAMED && CAN_PREPARE -> prepare_spare()
        :: !must_stop && (has_failed || (!UNNAMED && !CAN_PREPARE)) ->
           sleeps_for_space = true;
           !sleeps_for_space
        od
    }
}

/* Lets those go on who pause, in any order. */
active proctype scheduler()
{
end:
    do
    :: atomic { pauses[0] -> pauses[0] = false }
    :: atomic { pauses[1] -> pauses[1] = false }
    :: atomic { pauses[2] -> pauses[2] = false }
    :: atomic { pauses[3] -> pauses[3] = false }
    od
}

init
{
    atomic {
        run appender(ALWAYS, 1);
        run appender(BATCH, 3);
        run sync_thread();
        run space_thread()
    }
    atomic { /* src/wal/open.c: stop_threads() */
        done == 2;
        must_stop = true;
        wake_changed();
        sleeps_for_sync = false;
        sleeps_for_space = false
    }
}
