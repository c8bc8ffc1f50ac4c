"""Upload protocols: how bytes reach one signed URL. Each translates its own requests to engine calls; none decides anything."""
