"""Control of traffic: API keys, memory limits, canary and shadow versions, and shutdown."""
