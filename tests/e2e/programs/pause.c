/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does nothing until it is told to end: process 1 of a pod's sandbox (the image `pause`), and process 1 of every machine of
 * the test cluster, whose end ends every process in it.
 *
 * Why   A sandbox needs a process to hold its namespaces, and a process 1 must reap what is reparented to it.
 * Fails never; ends with 0 on SIGTERM or SIGINT.
 */
#include <signal.h>
#include <stddef.h>
#include <sys/wait.h>
#include <unistd.h>

static void end(int signal_number) {
    (void)signal_number;
    _exit(0);
}

static void reap(int signal_number) {
    (void)signal_number;
    while (waitpid(-1, NULL, WNOHANG) > 0) {
    }
}

int main(void) {
    const struct sigaction ending = {.sa_handler = end};
    const struct sigaction reaping = {.sa_handler = reap, .sa_flags = SA_NOCLDSTOP};
    sigset_t none;

    if (sigaction(SIGTERM, &ending, NULL) < 0 || sigaction(SIGINT, &ending, NULL) < 0 ||
        sigaction(SIGCHLD, &reaping, NULL) < 0)
        return 1;
    reap(SIGCHLD);
    (void)sigemptyset(&none);
    for (;;)
        (void)sigsuspend(&none);
}
