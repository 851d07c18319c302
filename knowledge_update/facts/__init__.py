"""`kupdate facts`: what the ledger holds, shown, measured, and put into a person's hands.

`listing` shows it and `coverage` measures it; `review` writes it to a sheet and takes the sheet back, `changes` finds
what a person changed there, `sheets` knows the formats.
"""
