# SPDX-License-Identifier: Apache-2.0
"""Checks that say what they proved: one line each, "ok WHAT" or "FAILED WHAT: WHY"."""
import sys
import traceback

failures = 0


def check(what, holds, why=""):
    global failures
    if holds:
        print(f"ok {what}", flush=True)
    else:
        failures += 1
        print(f"FAILED {what}: {why}", flush=True)


def equal(what, got, wanted):
    check(what, got == wanted, f"got {got!r:.300}, wanted {wanted!r:.300}")


def raises(what, kind, function):
    try:
        result = function()
    except kind:
        check(what, True)
    except BaseException as error:  # noqa: BLE001
        check(what, False, f"raised {error!r}")
    else:
        check(what, False, f"returned {result!r:.200}")


def group(function):
    """Runs one group; what it did not reach is one failure."""
    try:
        function()
    except BaseException:  # noqa: BLE001
        check(function.__name__, False, traceback.format_exc().replace("\n", " | "))


def finish():
    sys.exit(1 if failures else 0)
