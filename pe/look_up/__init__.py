"""Table look-up: sums of activations, formed once a row, which cells select from."""
