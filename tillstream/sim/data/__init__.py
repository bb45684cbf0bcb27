"""Stores, centres and products of the simulated grocer; prices in cents.

Invented throughout: places are real, stores and products are not. Positions are scattered around a
region's towns by a few km. GTINs use the in-store prefix 2, so that none is a real product's. No clock
there changes in summer; Luanda is an hour behind the others.
"""
