"""A small Django application that grew: its migrations rename, add, alter and fill tracked tables."""
