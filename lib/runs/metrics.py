"""Metrics of runs and their units."""

UNITS = {
    "validation_denoising_error": "sigma^2",
    "validation_rigid_part": "sigma^2",
    "validation_rmse": "kcal/mol",
    "test_rmse": "kcal/mol",
    "test_mae": "kcal/mol",
    "test_r2": "1",
    "test_known_rmse": "kcal/mol",
    "test_known_mae": "kcal/mol",
    "test_known_r2": "1",
    "validation_loss": "1",
    "validation_force_rmse": "kcal/mol/angstrom",
    "test_force_rmse": "kcal/mol/angstrom",
    "test_force_mae": "kcal/mol/angstrom",
    "test_force_r2": "1",
    "test_known_force_rmse": "kcal/mol/angstrom",
    "test_known_force_mae": "kcal/mol/angstrom",
    "test_known_force_r2": "1",
}
