"""The daemon as a service of the user's own service manager: systemd's, or launchd's on macOS."""
