"""One file a tab, each with `build(frame)`. Tabs do not import each other; they meet in the session."""

TABS = ()
