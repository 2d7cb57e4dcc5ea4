/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * replay.c: run a fuzz target over files, without a fuzzer. `replay_NAME PATH...`: each is a file
 * or a folder of them. The name of each input is printed before it is tried, so that the last one
 * is that which failed.
 */
#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_LEN 4096

static size_t tried;

static void give_up(const char *what, const char *path)
{
    (void)printf("Bail out! %s: %s\n", path, what);
    exit(1);
}

static void replay_file(const char *path, size_t len)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = malloc(len > 0 ? len : 1);

    if (!file || !data || fread(data, 1, len, file) != len)
        give_up("cannot be read", path);
    (void)fclose(file);
    (void)printf("# %s\n", path);
    (void)fflush(stdout);
    (void)LLVMFuzzerTestOneInput(data, len);
    free(data);
    tried++;
}

static void replay(const char *path)
{
    struct stat about;
    struct dirent **entries;
    int count;

    if (stat(path, &about) < 0)
        give_up("is not there", path);
    if (!S_ISDIR(about.st_mode)) {
        replay_file(path, (size_t)about.st_size);
        return;
    }
    count = scandir(path, &entries, NULL, alphasort);
    if (count < 0)
        give_up("cannot be listed", path);
    for (int i = 0; i < count; i++) {
        char inner[PATH_LEN];

        if (entries[i]->d_name[0] != '.') {
            if (snprintf(inner, sizeof inner, "%s/%s", path, entries[i]->d_name) >= PATH_LEN)
                give_up("its path is too long", entries[i]->d_name);
            replay(inner);
        }
        free(entries[i]);
    }
    free(entries);
}

int main(int argc, char **argv)
{
    (void)puts("1..1");
    for (int i = 1; i < argc; i++)
        replay(argv[i]);
    if (tried == 0)
        give_up("no input", argc > 1 ? argv[1] : "replay");
    (void)printf("ok 1 - %zu inputs of the corpus keep every promise\n", tried);
    return 0;
}
