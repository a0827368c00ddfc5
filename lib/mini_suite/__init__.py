"""How the mini suite is made: small stand-ins for the published data sets, labelled by GFN2-xTB.

``molecules/*.smi`` say what is sampled, `sampling` draws geometries, `filters` refuses broken ones, `chemistry.xtb`
labels them, `ani1`, `ani1x`, `iso17`, `spice` and `md22` write the official file layouts, `relaxed` and `example` what
is the suite's own, and `build` runs all of it on every core. The method is GFN2-xTB
(Bannwarth, Ehlert, Grimme 2019, https://doi.org/10.1021/acs.jctc.8b01176) through the library tblite.

Made with one thread a process, one seed a molecule: the same seed gives the same bytes on the same kind of machine.
"""
