/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/* fuse.c: the recording device as a file. */
#define _GNU_SOURCE 1

#include "fuse.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define WRITE_MAX  ((uint32_t)1 << 20)
#define PAGE       4096u
#define FOREVER    1000000u /* seconds that attributes may be kept */
#define BUFFER_LEN (WRITE_MAX + PAGE)

struct server {
    struct device *device;
    int fd;
    _Alignas(8) uint8_t buffer[BUFFER_LEN];
};

static void reply(const struct server *server, int error, const void *data, size_t len)
{
    const struct fuse_in_header *in = (const void *)server->buffer;
    struct fuse_out_header out = {
        .len = (uint32_t)(sizeof out + len), .error = error, .unique = in->unique};
    struct iovec pieces[2] = {{&out, sizeof out}, {(void *)(uintptr_t)data, len}};

    /* ENOENT: the request was interrupted meanwhile; nobody waits for the answer */
    if (writev(server->fd, pieces, len > 0 ? 2 : 1) < 0 && errno != ENOENT && errno != ENODEV)
        abort();
}

static void reply_init(const struct server *server, const struct fuse_init_in *in)
{
    struct fuse_init_out out = {.major = FUSE_KERNEL_VERSION,
                                .minor = FUSE_KERNEL_MINOR_VERSION,
                                .max_readahead = in->max_readahead,
                                .flags = FUSE_BIG_WRITES | FUSE_MAX_PAGES,
                                .max_background = 16,
                                .congestion_threshold = 16,
                                .max_write = WRITE_MAX,
                                .max_pages = WRITE_MAX / PAGE,
                                .time_gran = 1};

    reply(server, 0, &out, sizeof out);
}

static void reply_attributes(const struct server *server)
{
    struct fuse_attr_out out = {.attr_valid = FOREVER,
                                .attr = {.ino = FUSE_ROOT_ID,
                                         .size = server->device->bytes,
                                         .blocks = server->device->bytes / DEVICE_SECTOR,
                                         .mode = S_IFREG | 0600,
                                         .nlink = 1,
                                         .blksize = PAGE}};

    reply(server, 0, &out, sizeof out);
}

static void reply_read(const struct server *server, const struct fuse_read_in *in)
{
    const struct device *device = server->device;
    uint64_t len = in->size;

    if (in->offset >= device->bytes)
        len = 0;
    else if (len > device->bytes - in->offset)
        len = device->bytes - in->offset;
    reply(server, 0, device->image + in->offset, (size_t)len);
}

static void reply_write(const struct server *server, const struct fuse_write_in *in)
{
    struct fuse_write_out out = {.size = in->size};

    if (device_write(server->device, in->offset, in + 1, in->size))
        reply(server, 0, &out, sizeof out);
    else
        reply(server, -EIO, NULL, 0);
}

static void answer(struct server *server)
{
    const struct fuse_in_header *in = (const void *)server->buffer;
    const void *body = in + 1;
    const struct fuse_open_out opened = {.open_flags = FOPEN_DIRECT_IO}; /* each write comes here */

    switch (in->opcode) {
    case FUSE_INIT:
        reply_init(server, body);
        break;
    case FUSE_GETATTR:
        reply_attributes(server);
        break;
    case FUSE_OPEN:
        reply(server, 0, &opened, sizeof opened);
        break;
    case FUSE_READ:
        reply_read(server, body);
        break;
    case FUSE_WRITE:
        reply_write(server, body);
        break;
    case FUSE_FSYNC:
        device_flush(server->device);
        reply(server, 0, NULL, 0);
        break;
    case FUSE_FLUSH:
    case FUSE_RELEASE:
    case FUSE_DESTROY:
        reply(server, 0, NULL, 0);
        break;
    case FUSE_FORGET:
    case FUSE_BATCH_FORGET:
    case FUSE_INTERRUPT:
        break; /* no answer is expected */
    default:
        reply(server, -ENOSYS, NULL, 0);
        break;
    }
}

_Noreturn static void serve(struct device *device, int fd)
{
    static struct server server;

    server.device = device;
    server.fd = fd;
    for (;;) {
        ssize_t len = read(fd, server.buffer, sizeof server.buffer);

        if (len >= 0)
            answer(&server);
        else if (errno == ENODEV) /* unmounted */
            _exit(0);
        else if (errno != EINTR && errno != EAGAIN && errno != ENOENT)
            _exit(1);
    }
}

/* The test's mounts end with the last process in their namespace. That must not be the one that
 * they need in order to end: it would wait for itself, for ever. */
static bool leave_namespace(const char *path)
{
    return unshare(CLONE_NEWNS) == 0 && umount2(path, MNT_DETACH) == 0;
}

pid_t fuse_serve(struct device *device, const char *path)
{
    char options[80];
    pid_t parent = getpid();
    pid_t server;
    int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return 0;
    (void)snprintf(options, sizeof options, "fd=%d,rootmode=100600,user_id=0,group_id=0", fd);
    if (mount("nori-device", path, "fuse", MS_NOSUID | MS_NODEV, options) < 0) {
        (void)close(fd);
        return 0;
    }
    server = fork();
    if (server == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent || !leave_namespace(path))
            _exit(1);
        (void)signal(SIGINT, SIG_IGN); /* of the terminal: the test ends first */
        serve(device, fd);
    }
    (void)close(fd);
    return server > 0 ? server : 0;
}
