"""`python -m agentgw_daemon` is `agentgw-daemon`."""

import sys

from agentgw_daemon.main import main

if __name__ == "__main__":
    sys.exit(main())
