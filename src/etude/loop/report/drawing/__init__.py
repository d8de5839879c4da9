"""What every page is drawn from: markup that escapes itself, pictures as SVG, words for names and numbers."""
