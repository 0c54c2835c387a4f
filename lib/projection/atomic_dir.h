// SPDX-License-Identifier: Apache-2.0
// A directory whose files change all at once: the volume of a ConfigMap, by kubelet's algorithm (pkg/volume/util/atomic_writer.go).
//
//   DIR/..2026_11_28_15_04_05.0123456789/  one version of all files
//   DIR/..data  -> ..2026_11_28_15_04_05.0123456789    replaced by rename(2): the step that counts
//   DIR/name    -> ..data/name                         one for each file
//
// Why:     programs that follow a ConfigMap's volume watch `..data`, and must find the same here.
// Order:   the new version is written whole; ..data_tmp is renamed over ..data; links for new names; links of removed names go; the
//          version before goes. Nothing is written when nothing differs. A writer that is killed between any two of these leaves
//          one whole version readable, and atomic_dir_open with the next write puts right the rest.
// Differs: what did not change is a hard link to the version before, so that a change of one file among thousands is cheap; and that version
//          stays for `keep_ns` where kubelet removes it at once, for whoever is between opening the directory and opening a file: at a change a
//          minute nobody is, at hundreds a second somebody always is.
// Owns:    the directory's content; names of others in it stay as they are.
// Threads: one.
// Fails:   -errno with the path; what was readable before still is.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/cleanup.h"
#include "lib/base/clock.h"
#include "lib/base/err.h"

struct atomic_file {
    const char *name; // one component, not beginning with ".."; each once
    const void *data; // NULL: as in the version before, which has it
    size_t len;
};

struct atomic_dir_options {
    const char *path;             // made when it is missing
    uint32_t file_mode, dir_mode; // of each version; 0: 0644, 0755
    int64_t keep_ns;              // versions that were replaced; 0: none, as kubelet
    int64_t keep_bytes;        // that these take on the disk by themselves, at most; what is over goes before its time
    const struct clock *clock; // NULL: the system's
};

struct atomic_dir;
// Takes away what a killed writer left beside the version that counts.
int atomic_dir_open(const struct atomic_dir_options *options, struct atomic_dir **ret, struct err *err) must_check;
struct atomic_dir *atomic_dir_free(struct atomic_dir *dir); // the files stay
DEFINE_CLEANUP(atomic_dir)

bool atomic_dir_has_version(const struct atomic_dir *dir); // has anything been written, by this process or one before?
// The files are exactly these from now on. *ret_changed: they were not before. -ESTALE: a file that is to be as before is missing: give
// the data of all of them.
int atomic_dir_write(struct atomic_dir *dir, const struct atomic_file *files, size_t count, bool *ret_changed,
                     struct err *err) must_check;
// Removes versions whose time is over; in ns, when to call it again: DEADLINE_NONE, there are none.
int64_t atomic_dir_tidy(struct atomic_dir *dir);
