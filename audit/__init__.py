"""Who answers and what it means: backends, metrics, statistics, the carbon meter, the store and the runner."""
