// SPDX-License-Identifier: Apache-2.0
// Loop devices: image files as block devices (loop(4)), with direct I/O where the file system below can.
//
// Why:     which device shows an image is asked of the kernel each time, by the file's device and inode: nothing is
//          remembered that a reboot or somebody's losetup(8) could make wrong. Of an image whose disk is dead: by its path.
// Threads: any. One image is attached by one caller at a time.
// Fails:   -errno with a message that names the image; -ENXIO when this machine has no /dev/loop-control.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/cleanup.h"
#include "lib/base/err.h"

#define LOOP_PATH_SIZE 32 // of "/dev/loop123"

// Logical block size of every device, in bytes: what any file takes direct I/O in, reflinked ones and disks with 4 KiB
// sectors as well. It is fixed because the kernel's own choice follows the file (an image shares blocks since its
// snapshot, say), and a file system made with smaller blocks could not be mounted any more.
#define LOOP_BLOCK_SIZE 4096

struct loop_options {
    bool read_only;
    bool autoclear; // the kernel lets go of it when the last user (also this call's descriptor) does
};

// The device of an image. -ENOENT: it has none.
int loop_find(const char *image, unsigned *ret_number, struct err *err) must_check;
// A new one. *ret_fd is its descriptor, to be closed: with autoclear, not before it is mounted.
int loop_attach(const char *image, const struct loop_options *options, unsigned *ret_number, int *ret_fd,
                struct err *err) must_check;
int loop_detach(unsigned number, struct err *err) must_check; // not attached: 0. Mounted: when it is unmounted
int loop_grow(unsigned number, struct err *err) must_check;   // takes the size that its image has now
void loop_path(unsigned number, char ret[static LOOP_PATH_SIZE]);
bool loop_uses_direct_io(unsigned number);
// Hands every attached device whose image lies in `directory` to `fn`, with the path that the kernel knows. The path is not
// judged by: the kernel tells it as the mount namespace saw it that attached the device, which a restarted container no
// longer has, and which another node of this kernel may see likewise.
int loop_each(const char *directory, int (*fn)(unsigned number, const char *image, void *arg), void *arg) must_check;
