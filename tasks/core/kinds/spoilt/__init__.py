"""How answers are spoiled, a module for each flaw that all kinds share: near misses, as a model
makes them, in the words and of the length of right answers.
"""
