"""What each figure shows, prepared apart from drawing: tables and records in, plain records out, one figure a file."""
