"""Entry point of the app in a checkout, `python app.py`, and of a Hugging Face Space."""

from bye_core.ui.__main__ import main

if __name__ == "__main__":
    main()
