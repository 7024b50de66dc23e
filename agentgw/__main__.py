"""`python -m agentgw` is `agentgw`."""

from agentgw.cli.main import main

if __name__ == "__main__":
    main()
