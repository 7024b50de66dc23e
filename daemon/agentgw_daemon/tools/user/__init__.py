"""The user's own tools: functions and programs, each in processes of its own."""
