"""What encoders make of codes: integers, parts of floats, signed digits, multiples."""
