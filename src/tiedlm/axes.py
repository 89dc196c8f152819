"""The letters used for axes, in this one legend.

| letter | axis |
|---|---|
| N | predictions (target positions) in a batch, N = T x B where both are flattened |
| T | steps of a window |
| B | streams: sequences that are trained side by side |
| V | words of the vocabulary |
| D | width of the features, of the word vectors and of the classifier's rows |
| H | units of a recurrent layer |
| U | distinct target words among the N targets |
| K | layers |
| C | rows of a chunk |

A shape in a docstring is written `[T, B, D]`. Paper symbols: `h` features [N, D]; `W` classifier [V, D]; `L` word
vectors, here always stored by rows as [V, D] (the paper writes its transpose); `z = W h` logits [N, V].
"""
