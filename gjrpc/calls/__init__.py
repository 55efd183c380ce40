"""Methods and calls: registers functions as methods, binds arguments to them, runs calls, and reports results and errors."""
