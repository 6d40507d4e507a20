"""Services and local code that embed, extract and summarize."""
