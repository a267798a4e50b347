"""The kinds: each module is one, with its words in the YAML file beside it. There is no list of
them: a file more is a kind more.
"""
