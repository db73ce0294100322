"""Records to plot data, figures and terminal tables. Nothing here computes a statistic that was not recorded."""
