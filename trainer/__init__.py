"""Everything offline, installed as `lga_trainer`: the `lga` command, and how the demo domain was made."""
