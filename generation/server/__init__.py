"""The HTTP generation service: what a GPU host offers to IPO on other machines, and to the predecessor's clients.

Started by `manage.py generation_server`; its own description is at /docs and /openapi.json. Bad input is answered with
422 and the field named, what this machine cannot do with 409, a full queue with 429.
"""
