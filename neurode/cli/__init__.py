"""Floor 9: the command line. Thin verbs over the tasks; nothing heavy is imported before a verb is chosen."""
