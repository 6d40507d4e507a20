"""What the topics pass is made of: clusters, the tree they form, and how they live on."""
