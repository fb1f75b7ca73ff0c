"""Foreign layouts, a module each: `matches` recognises one by its content, `read` turns it into our models."""
