"""Perplexity and scoring, next words, generation, analysis of trained models, n-gram baselines."""
