"""The page and the HTTP API: clips of strangers in, answers out, and nothing of this machine with them.

The core (`session`, `uploads`, `models`, `timeline`, `browse`) knows no web library; `api` and `page` put it
before FastAPI and Gradio, behind one `guard`. What is said of a clip is perceived expression, see
docs/responsible-use.md.
"""
