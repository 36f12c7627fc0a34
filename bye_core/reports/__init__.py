"""Reports on a run or a cleaning: one self-contained HTML page, and the same facts as JSON."""
