"""The rooms put together: the extract loop, the predict service, the demo, the tiny encoders."""
