"""Skills: folders of instructions, read from their tiers and never executed."""
