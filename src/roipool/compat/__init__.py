"""The incumbents' own names and argument order, so that a port changes one import."""
