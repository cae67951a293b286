"""What people read of a run: the decision page, its pictures, the account of what came."""
