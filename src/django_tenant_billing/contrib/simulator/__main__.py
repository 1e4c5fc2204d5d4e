"""The command line: `python -m django_tenant_billing.contrib.simulator --port 8001`."""

import argparse
import signal
import sys
import threading
from collections.abc import Sequence

from .faults import Plan
from .server import DEFAULT_KEYS, DEFAULT_MERCHANTS, Server


def _merchant(text: str) -> tuple[str, str]:
    code, _, secret = text.partition(":")
    if not code or not secret:
        raise argparse.ArgumentTypeError("write it as CODE:SECRET")
    return code, secret


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError("a share is a number from 0 to 1")
    return share


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m django_tenant_billing.contrib.simulator",
        description="Stand in for Khalti and eSewa on this machine. All is kept in memory and forgotten on exit.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8001, help="0 picks a free one (default: %(default)s)")
    parser.add_argument(
        "--khalti-key",
        action="append",
        metavar="KEY",
        help=f"a merchant's secret key; repeat it for several merchants (default: {DEFAULT_KEYS[0]})",
    )
    parser.add_argument(
        "--esewa-merchant",
        action="append",
        type=_merchant,
        metavar="CODE:SECRET",
        help="a merchant's product code and secret; repeat it for several (default: eSewa's public test merchant)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, help="the same seed gives the same ids and faults (default: %(default)s)"
    )
    parser.add_argument(
        "--faults", type=_share, default=0.0, metavar="SHARE", help="0.3 lets three in ten requests go wrong"
    )
    parser.add_argument(
        "--returns", type=_share, default=0.0, metavar="SHARE", help="likewise for payers on their way back"
    )
    options = parser.parse_args(arguments)
    plan = Plan(options.seed, options.faults, options.returns)
    try:
        server = Server(
            options.host,
            options.port,
            keys=options.khalti_key or DEFAULT_KEYS,
            merchants=dict(options.esewa_merchant or DEFAULT_MERCHANTS),
            seed=options.seed,
            plan=plan,
        )
    except (OSError, OverflowError, ValueError) as error:
        parser.error(f"cannot listen on {options.host}, port {options.port}: {error}")

    def stop(*_: object) -> None:
        # shutdown() waits for serve_forever() to return, which it cannot in the thread that runs this handler.
        threading.Thread(target=server.shutdown).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    print(f"Simulator ready at {server.url}", flush=True)
    if plan.faults or plan.returns:
        print(f"seed={plan.seed} plan={plan}", flush=True)
    with server:
        server.serve_forever(poll_interval=0.1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
