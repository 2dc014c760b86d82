"""One file per released schema, each with a docstring that says what it brought."""
