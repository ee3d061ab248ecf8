SELECT id FROM instance WHERE one = 1
