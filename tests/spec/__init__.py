"""The scalar specification against an oracle on fractions, against apytypes and against real mathematics."""
