"""audit: registry, records and observations compared; a module for each subject, a function for each finding."""
