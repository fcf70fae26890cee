"""Where the tokens of questions stand in their shoppers' histories, and what each moment looks back on."""

import numpy as np

from recsys.compiled import compiled


@compiled
def token_rows(
    time: np.ndarray,
    start: np.ndarray,
    row: np.ndarray,
    token_start: np.ndarray,
    at: np.ndarray,
    lookback: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Tokens of S shoppers laid end to end, N in all: the events that are shown of each, then the question if any.

    Args:
        time: instants of all that the shoppers did, flat, ascending for each [E] int64.
        start: where each shopper's events begin, and the end of the last [S + 1].
        row: rows of the events that are shown, ascending [T] int64.
        token_start: where each shopper's tokens begin, and the end of the last [S + 1].
        at: instant of each shopper's question [S] int64, later than all they did; empty where none has a token.
        lookback: the most rows that a moment looks back on.

    Returns:
        Instant and moment of each token, whether it is a question [N]; and of each moment its first token and the rows
        [low, high) that it looks back on, whole moments only [M], as `recsys.feature.past.past_before` has it.
    """
    count = token_start[-1]
    token_time, moment = np.empty(count, np.int64), np.empty(count, np.int32)
    is_query = np.zeros(count, np.bool_)
    begins, low, high = np.empty(count, np.int64), np.empty(count, np.int64), np.empty(count, np.int64)
    moments, taken = 0, 0
    for shopper in range(len(start) - 1):
        first, end = start[shopper], start[shopper + 1]
        for token in range(token_start[shopper], token_start[shopper + 1]):
            asks = len(at) > 0 and token == token_start[shopper + 1] - 1
            own = end if asks else row[taken]
            when = at[shopper] if asks else time[own]
            if token == token_start[shopper] or when != token_time[token - 1]:
                while not asks and own > first and time[own - 1] == when:
                    own -= 1
                from_here = max(first, own - lookback)
                while first < from_here < own and time[from_here] == time[from_here - 1]:
                    from_here += 1
                begins[moments], low[moments], high[moments] = token, from_here, own
                moments += 1
            token_time[token], moment[token], is_query[token] = when, moments - 1, asks
            taken += not asks
    return token_time, moment, is_query, begins[:moments], low[:moments], high[:moments]
