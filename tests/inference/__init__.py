"""Tests of agentgw_daemon.inference."""
