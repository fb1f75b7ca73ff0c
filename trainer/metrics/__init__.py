"""What is measured: motion, judges, agreement, bootstrap intervals."""
