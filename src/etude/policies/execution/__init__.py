"""How predicted chunks become actions: wrappers around a policy, each of one idea, that compose.

    ChunkPolicy          the network: whole chunks (H, A) for observations
    TemporalEnsemble     each future action averaged over all chunks that predicted it
    RecedingHorizon      the first actions of a chunk, then look again; or look a little earlier (asynchronously)
    Smoothing            a low-pass between consecutive actions
    Metered              how long the network took

All of them are policies. What one remembers of an episode lies in the episode's memory, so the result for an
observation never depends on who else is in the batch. `BackgroundInference` runs the same in real time.
"""
