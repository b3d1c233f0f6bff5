"""The model of a board: what is true of one machine, read from board/NAME/board.toml."""
